// Draws /openapi.json. Text only ever becomes text nodes, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const NAMES = { native: "Weighbridge", latitude: "Latitude.sh", apitally: "Apitally", storyblok: "Storyblok", altostrat: "Altostrat",
  hub: "Apitally’s clients report here", otlp: "OpenTelemetry reports here" };

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function resolve(api, part) {
  let found = part;
  for (let depth = 0; found && found.$ref && depth < 20; depth += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, key) => at && at[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  }
  return found || {};
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.enum) return schema.enum.map(String).join(" | ");
  if (schema.anyOf || schema.oneOf) return (schema.anyOf || schema.oneOf).map(typeOf).join(" or ");
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type || "";
  if (type === "array") return `list of ${typeOf(schema.items) || "values"}`;
  return schema.format ? `${type} (${schema.format})` : type;
}

function quoted(text) {
  return `'${String(text).replace(/'/g, "'\\''")}'`;
}

function curlOf(method, path, operation, body) {
  const parameters = operation.parameters || [];
  const filled = path.replace(/\{([^}]+)\}/g, (whole, name) => {
    const found = parameters.find((each) => each.in === "path" && each.name === name);
    return found && found.example !== undefined ? encodeURIComponent(found.example) : whole;
  });
  const needed = parameters.filter((each) => each.in === "query" && each.required);
  const shown = parameters.filter((each) => each.in === "query" && each.example !== undefined).slice(0, 2);
  const asked = (needed.length ? needed : shown)
    .map((each) => `${encodeURIComponent(each.name)}=${encodeURIComponent(each.example === undefined ? "…" : each.example)}`);
  const query = asked.length ? `?${asked.join("&")}` : "";
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quoted(location.origin + filled + query)}`];
  if ((operation.security || []).length) {
    const schemes = operation.security.flatMap((each) => Object.keys(each));
    const header = schemes.includes("bearer") ? "Authorization: Bearer" : schemes.includes("raw") ? "Authorization:" : "Api-Key:";
    lines.push(`-H "${header} $WEIGHBRIDGE_KEY"`);
  }
  if (body) {
    lines.push(`-H ${quoted(`Content-Type: ${body.type}`)}`);
    if (body.example !== undefined) {
      lines.push(`--data-binary ${quoted(typeof body.example === "string" ? body.example : JSON.stringify(body.example))}`);
    }
  }
  return lines.join(" \\\n  ");
}

function copyable(text) {
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return make("div", { class: "curl" }, make("pre", {}, make("code", {}, text)), navigator.clipboard ? button : null);
}

function parametersOf(parameters) {
  const rows = parameters.map((each) => make("tr", {},
    make("td", {}, make("code", {}, each.name), make("br"), make("small", {}, each.in),
      each.required ? make("div", { class: "must" }, "required") : null),
    make("td", {}, typeOf(each.schema)),
    make("td", {}, each.description || "", each.example === undefined ? null : make("div", {}, "Example: ", make("code", {}, pretty(each.example)))),
  ));
  const head = make("tr", {}, ...["Name", "Type", "Meaning"].map((name) => make("th", { scope: "col" }, name)));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function contentOf(content) {
  return Object.entries(content || {}).flatMap(([type, media]) => [
    make("p", {}, make("code", {}, type)),
    media.example === undefined ? null : make("pre", {}, make("code", {}, pretty(media.example))),
    media.schema ? make("details", { class: "answer" }, make("summary", {}, "Schema"), make("pre", {}, make("code", {}, pretty(media.schema)))) : null,
  ]);
}

function answersOf(api, responses) {
  return Object.entries(responses || {}).map(([status, reference]) => {
    const answer = resolve(api, reference);
    return make("details", { class: "answer", open: status === "200" },
      make("summary", {}, make("strong", {}, status), ` ${answer.description || ""}`), ...contentOf(answer.content));
  });
}

function operationOf(api, path, method, operation) {
  const body = resolve(api, operation.requestBody || {});
  const [type, media] = Object.entries(body.content || {})[0] || [];
  const parameters = (operation.parameters || []).map((each) => resolve(api, each));
  const known = { ...operation, parameters };
  return make("details", { class: "operation", id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, path),
      make("span", { class: "says" }, operation.summary || "")),
    make("div", { class: "inside" },
      operation.description ? make("p", {}, operation.description) : null,
      make("h3", {}, "Try it"), copyable(curlOf(method, path, known, type ? { type, example: media.example } : null)),
      parameters.length ? make("h3", {}, "Parameters") : null,
      parameters.length ? parametersOf(parameters) : null,
      type ? make("h3", {}, "Body") : null,
      type && body.description ? make("p", {}, body.description) : null, ...(type ? contentOf(body.content) : []),
      make("h3", {}, "Answers"), ...answersOf(api, operation.responses)));
}

function draw(api) {
  const contents = document.getElementById("contents");
  const operations = document.getElementById("operations");
  const entries = [];
  for (const { name } of api.tags || []) {
    const list = make("ul");
    const section = make("section", {}, make("h2", {}, NAMES[name] || name));
    const heading = make("h3", {}, NAMES[name] || name);
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS.filter((each) => item[each] && item[each].tags.includes(name))) {
        const operation = item[method];
        const link = make("li", {}, make("a", { href: `#${operation.operationId}`, title: operation.summary },
          make("span", { class: `method ${method}` }, method.toUpperCase()), path));
        const block = operationOf(api, path, method, operation);
        list.append(link);
        section.append(block);
        entries.push({ text: `${method} ${path} ${operation.summary}`.toLowerCase(), link, block, heading, section });
      }
    }
    if (list.children.length) {
      contents.append(heading, list);
      operations.append(section);
    }
  }
  return entries;
}

function search(entries, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const entry of entries) {
    const hit = wanted.every((word) => entry.text.includes(word));
    entry.link.hidden = entry.block.hidden = !hit;
  }
  for (const { heading, section } of entries) {
    const empty = entries.every((entry) => entry.section !== section || entry.block.hidden);
    heading.hidden = section.hidden = empty;
  }
}

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.tagName === "DETAILS") {
    named.open = true;
    named.scrollIntoView();
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    const api = await response.json();
    document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
    const entries = draw(api);
    document.getElementById("search").addEventListener("input", (event) => search(entries, event.target.value));
    window.addEventListener("hashchange", openNamed);
    state.remove();
    openNamed();
  } catch (error) {
    state.textContent = `The description of the routes could not be loaded: ${error.message}.`;
  }
}

start();
