import adyen from "@adyen/api-library";

const validator = new adyen.hmacValidator();

export function verify(request, secret) {
	return validator.validateHMACSignature(secret, request.headers.hmacsignature, request.text);
}

export function sign(request, secret) {
	return { hmacsignature: validator.calculateHmac(request.text, secret) };
}
