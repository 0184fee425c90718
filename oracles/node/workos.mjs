import { WorkOS } from "@workos-inc/node";

const { webhooks } = new WorkOS("unused");

// The SDK takes a parsed body and writes it as JSON again.
export function verify(request, secret) {
	const sigHeader = request.headers["workos-signature"];
	return webhooks.verifyHeader({ payload: JSON.parse(request.text), sigHeader, secret });
}

export async function sign(request, secret, now) {
	const signature = await webhooks.computeSignature(now * 1000, JSON.parse(request.text), secret);
	return { "workos-signature": `t=${now * 1000}, v1=${signature}` };
}
