import { Signature } from "@hubspot/api-client";

function optionsOf(request, clientSecret, timestamp) {
	const { method, url, text: requestBody } = request;
	return { clientSecret, requestBody, signatureVersion: "v3", url, method, timestamp };
}

export function verify(request, secret) {
	const { "x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": timestamp } = request.headers;
	return Signature.isValid({ ...optionsOf(request, secret, Number(timestamp)), signature });
}

export function sign(request, secret, now) {
	const signature = Signature.getSignature(request.method, "v3", optionsOf(request, secret, now * 1000));
	return { "x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": String(now * 1000) };
}
