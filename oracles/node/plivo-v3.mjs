import { parse } from "node:querystring";
import plivo from "plivo";

export function verify(request, secret) {
	const { "x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce } = request.headers;
	const fields = { ...parse(request.text) };
	return plivo.validateV3Signature(request.method, request.url, nonce, secret, signature, fields);
}
