import commerce from "coinbase-commerce-node";

export function verify(request, secret) {
	return commerce.Webhook.verifySigHeader(request.body, request.headers["x-cc-webhook-signature"], secret);
}

export function sign(request, secret) {
	return { "x-cc-webhook-signature": commerce.Webhook.computeSignature(request.body, secret) };
}
