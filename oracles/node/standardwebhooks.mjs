import { Webhook } from "standardwebhooks";

export function verify(request, secret) {
	new Webhook(secret).verify(request.body, request.headers);
	return true;
}

export function sign(request, secret, now) {
	const id = "msg_2b7c";
	const signature = new Webhook(secret).sign(id, new Date(now * 1000), request.text);
	return { "webhook-id": id, "webhook-timestamp": String(now), "webhook-signature": signature };
}
