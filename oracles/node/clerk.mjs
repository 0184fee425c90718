import { verifyWebhook } from "@clerk/backend/webhooks";

export async function verify(request, secret) {
	const { url, method, headers, body } = request;
	await verifyWebhook(new Request(url, { method, headers, body }), { signingSecret: secret });
	return true;
}
