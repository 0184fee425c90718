import Razorpay from "razorpay";

export function verify(request, secret) {
	return Razorpay.validateWebhookSignature(request.text, request.headers["x-razorpay-signature"], secret);
}
