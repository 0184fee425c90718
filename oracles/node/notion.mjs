import { signWebhookPayload, verifyWebhookSignature } from "@notionhq/client";

export function verify(request, secret) {
	const signature = request.headers["x-notion-signature"];
	return verifyWebhookSignature({ body: request.body, signature, verificationToken: secret });
}

export async function sign(request, secret) {
	return { "x-notion-signature": await signWebhookPayload({ body: request.body, verificationToken: secret }) };
}
