import { LinearWebhookClient } from "@linear/sdk/webhooks";

export function verify(request, secret) {
	const { webhookTimestamp } = JSON.parse(request.text);
	return new LinearWebhookClient(secret).verify(request.body, request.headers["linear-signature"], webhookTimestamp);
}
