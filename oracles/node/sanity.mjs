import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";

export function verify(request, secret) {
	return isValidSignature(request.text, request.headers["sanity-webhook-signature"], secret);
}

export async function sign(request, secret, now) {
	return { "sanity-webhook-signature": await encodeSignatureHeader(request.text, now * 1000, secret) };
}
