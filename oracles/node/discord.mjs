import { verifyKey } from "discord-interactions";

export function verify(request, secret) {
	const { "x-signature-ed25519": signature, "x-signature-timestamp": timestamp } = request.headers;
	return verifyKey(request.body, signature, timestamp, secret);
}
