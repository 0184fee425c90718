import sendgrid from "@sendgrid/eventwebhook";

const NAME = "x-twilio-email-event-webhook";

export function verify(request, secret) {
	const judge = new sendgrid.EventWebhook();
	const key = judge.convertPublicKeyToECDSA(secret);
	const { [`${NAME}-signature`]: signature, [`${NAME}-timestamp`]: timestamp } = request.headers;
	return judge.verifySignature(key, request.body, signature, timestamp);
}
