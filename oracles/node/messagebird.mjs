import { createSecretKey } from "node:crypto";
import jwt from "messagebird/lib/webhook-signature-jwt.js";

export async function verify(request, secret) {
	const key = createSecretKey(Buffer.from(secret));
	await jwt.verify(request.url, request.body, request.headers["messagebird-signature-jwt"], key);
	return true;
}
