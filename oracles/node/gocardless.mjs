import * as webhooks from "gocardless-nodejs/webhooks";

export function verify(request, secret) {
	webhooks.verifySignature(request.body, secret, request.headers["webhook-signature"]);
	return true;
}
