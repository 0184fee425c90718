import onfido from "@onfido/api";

export function verify(request, secret) {
	new onfido.WebhookEventVerifier(secret).readPayload(request.body, request.headers["x-sha2-signature"]);
	return true;
}
