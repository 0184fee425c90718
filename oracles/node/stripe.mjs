import Stripe from "stripe";

const { webhooks } = new Stripe("sk_test_unused");

export function verify(request, secret) {
	return typeof webhooks.constructEvent(request.body, request.headers["stripe-signature"], secret).id === "string";
}

export function sign(request, secret, now) {
	const header = webhooks.generateTestHeaderString({ payload: request.text, secret, timestamp: now });
	return { "stripe-signature": header };
}
