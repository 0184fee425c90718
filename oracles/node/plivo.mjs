import plivo from "plivo";

export function verify(request, secret) {
	const { "x-plivo-signature-v2": signature, "x-plivo-signature-v2-nonce": nonce } = request.headers;
	return plivo.validateSignature(request.url, nonce, signature, secret);
}
