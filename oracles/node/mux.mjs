import Mux from "@mux/mux-node";

const { webhooks } = new Mux({ tokenId: "unused", tokenSecret: "unused" });

export async function verify(request, secret) {
	await webhooks.verifySignature(request.text, request.headers, secret);
	return true;
}
