// What a user writes must pass `tsc --strict`; what is wrong must not. Compiled, never run.

import { KnockerSqlite, Provider, ProviderResult, RetryAfter, sign, type ProviderRequest } from "knocker-sqlite";

class Acme extends Provider {
  override name = "acme";
  verify(request: ProviderRequest): ProviderResult {
    return ProviderResult.accept({ eventType: request.header("x-acme-event") ?? null });
  }
}

export async function uses(signal: AbortSignal): Promise<number> {
  const webhooks = new KnockerSqlite("app.db", { maxBodyBytes: 0 });
  const acme = webhooks.endpoint({ name: "acme", provider: new Acme(), secrets: ["s"] });
  acme.handle("made", (event, tx) => {
    if (event.attempt_count > 2) throw new RetryAfter(60);
    tx.prepare("insert into made values (?, ?)").run(event.id, event.body_blob);
  });
  webhooks.registerHandler("acme", (event) => event.extend(60), "other");
  const result = await webhooks.receiveAsync({ endpoint: "acme", body: Buffer.of(1), headers: sign("stripe") });
  for await (const event of webhooks.events({ status: "dead" })) webhooks.replay(event.id);
  // @ts-expect-error: an option is misspelt
  webhooks.addEndpoint({ name: "x", secret: "s" });
  // @ts-expect-error: a parsed body is none
  webhooks.receive({ endpoint: "acme", body: { parsed: true } });
  // @ts-expect-error: a row's names are snake_case
  void result.statusCode;
  return result.status_code + (await webhooks.runWorker({ workerId: "w", maxJobs: 1, signal }));
}
