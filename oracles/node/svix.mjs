import { Webhook } from "svix";

export function verify(request, secret) {
	new Webhook(secret).verify(request.body, request.headers);
	return true;
}

export function sign(request, secret, now) {
	const id = "msg_2b7c";
	const signature = new Webhook(secret).sign(id, new Date(now * 1000), request.text);
	return { "svix-id": id, "svix-timestamp": String(now), "svix-signature": signature };
}
