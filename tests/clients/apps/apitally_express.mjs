// Express with apitally for JavaScript: PORT ENVIRONMENT CLIENT_ID. The hub's address is in APITALLY_HUB_BASE_URL.
import { setConsumer, useApitally } from "apitally/express";
import express from "express";

const [port, env, clientId] = process.argv.slice(2);
const app = express();

useApitally(app, { clientId, env, requestLogging: { enabled: true } });

app.use((request, _, next) => {
  // The consumer is the one that `X-Consumer: identifier;name;group` names.
  const [identifier, name, group] = (request.get("x-consumer") ?? "").split(";");
  if (identifier) setConsumer(request, { identifier, name, group });
  next();
});

app.get("/items/:id", (request, response) => {
  response.type("text/plain").send("x".repeat(Number(request.query.size)));
});

app.post("/upload", express.raw({ type: () => true, limit: "1mb" }), (request, response) => {
  response.type("text/plain").send(String(request.body?.length ?? 0));
});

app.get("/stream", (request, response) => {
  const [chunks, size] = [Number(request.query.chunks), Number(request.query.size)];
  response.type("text/plain");
  if ("length" in request.query) response.set("content-length", String(chunks * size));
  for (let sent = 0; sent < chunks; sent += 1) response.write("x".repeat(size));
  response.end();
});

app.get("/healthz", (_, response) => {
  response.type("text/plain").send("ok");
});

app.get("/broken", () => {
  throw new Error("broken on purpose");
});

const server = app.listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0)); // the client has nothing to flush with; what it holds is gone
server.on("error", () => process.exit(1));
