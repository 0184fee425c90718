import { Paddle } from "@paddle/paddle-node-sdk";

const { webhooks } = new Paddle("unused");

export function verify(request, secret) {
	return webhooks.isSignatureValid(request.text, secret, request.headers["paddle-signature"]);
}
