import { Resend } from "resend";

const { webhooks } = new Resend("re_unused");

export function verify(request, secret) {
	const { "svix-id": id, "svix-timestamp": timestamp, "svix-signature": signature } = request.headers;
	webhooks.verify({ payload: request.text, headers: { id, timestamp, signature }, webhookSecret: secret });
	return true;
}
