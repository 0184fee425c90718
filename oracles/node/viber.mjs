import MessageValidator from "viber-bot/lib/message/message-validator.js";

export function verify(request, secret) {
	const validator = new MessageValidator({ debug: () => {} }, secret);
	return validator.validateMessage(request.headers["x-viber-content-signature"], request.body);
}
