import { Signature } from "@hubspot/api-client";

function optionsOf(request, clientSecret) {
	const { method, url, text: requestBody } = request;
	return { clientSecret, requestBody, signatureVersion: "v2", url, method };
}

export function verify(request, secret) {
	const signature = request.headers["x-hubspot-signature"];
	return Signature.isValid({ ...optionsOf(request, secret), signature });
}

export function sign(request, secret) {
	return { "x-hubspot-signature": Signature.getSignature(request.method, "v2", optionsOf(request, secret)) };
}
