import * as octokit from "@octokit/webhooks-methods";

export function verify(request, secret) {
	return octokit.verify(secret, request.text, request.headers["x-hub-signature-256"]);
}

export async function sign(request, secret) {
	return { "x-hub-signature-256": await octokit.sign(secret, request.text) };
}
