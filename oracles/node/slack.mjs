import bolt from "@slack/bolt";

export function verify(request, secret) {
	const options = { signingSecret: secret, body: request.text, headers: request.headers };
	return bolt.isValidSlackRequest(options);
}
