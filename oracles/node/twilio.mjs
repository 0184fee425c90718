import { parse } from "node:querystring";
import twilio from "twilio";

export function verify(request, secret) {
	return twilio.validateRequest(secret, request.headers["x-twilio-signature"], request.url, parse(request.text));
}

export function sign(request, secret) {
	return { "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, request.url, parse(request.text)) };
}
