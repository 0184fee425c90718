// Owns the pipe between the driver and the adapters in JavaScript: a question a line, an answer a line. It knows no SDK;
// each adapter beside it knows one, and none knows what the right answer is.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const adapters = new Map();

// What an SDK writes to the console would be taken for an answer.
const answer = process.stdout.write.bind(process.stdout);
for (const name of ["log", "info", "warn", "debug", "error"]) console[name] = () => {};

async function adapterOf(name) {
	if (!adapters.has(name)) adapters.set(name, await import(`./${name}.mjs`));
	return adapters.get(name);
}

function requestOf(sent) {
	const body = Buffer.from(sent.body, "base64");
	return { ...sent, body, text: body.toString("utf8") };
}

const calls = {
	about: async (question) => {
		const adapter = await adapterOf(question.adapter);
		const manifest = JSON.parse(readFileSync(`node_modules/${question.package}/package.json`, "utf8"));
		return { version: manifest.version, signs: typeof adapter.sign === "function" };
	},
	// An SDK refuses by a false or by an exception.
	verify: async (question) => {
		const adapter = await adapterOf(question.adapter);
		try {
			const said = await adapter.verify(requestOf(question.request), question.secret);
			return { accepted: said === true, reason: `the SDK returned ${String(said).slice(0, 60)}` };
		} catch (error) {
			return { accepted: false, reason: String(error?.message ?? error).split("\n")[0] };
		}
	},
	// Headers, or the whole body where the signature stands in it.
	sign: async (question) => {
		const adapter = await adapterOf(question.adapter);
		return { signed: await adapter.sign(requestOf(question.request), question.secret, question.now) };
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	let reply;
	try {
		const question = JSON.parse(line);
		reply = await calls[question.call](question);
	} catch (error) {
		reply = { failed: String(error?.stack ?? error) };
	}
	answer(`${JSON.stringify(reply)}\n`);
}
process.exit(0);
