import { WebhooksHelper } from "square";

export function verify(request, secret) {
	return WebhooksHelper.verifySignature({
		requestBody: request.text,
		signatureHeader: request.headers["x-square-hmacsha256-signature"],
		signatureKey: secret,
		notificationUrl: request.url,
	});
}
