import { validateSignature } from "@line/bot-sdk";

export function verify(request, secret) {
	return validateSignature(request.body, secret, request.headers["x-line-signature"] ?? "");
}
