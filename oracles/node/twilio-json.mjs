import twilio from "twilio";

export function verify(request, secret) {
	return twilio.validateRequestWithBody(secret, request.headers["x-twilio-signature"], request.url, request.text);
}

export function sign(request, secret) {
	return { "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, request.url, {}) };
}
