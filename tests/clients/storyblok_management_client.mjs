// The same with the typed client: base address, its settings for the token, a list of queries, and which statistics.
import { createManagementApiClient } from "@storyblok/management-api-client";

const [baseUrl, token, queries, statistics = "all_traffic"] = process.argv.slice(2);
const client = createManagementApiClient({ baseUrl, ...JSON.parse(token) });
const answers = [];
for (const query of JSON.parse(queries)) {
  const { data, error } = await client.get(`/v1/orgs/me/statistics/${statistics}`, { query });
  answers.push(error ? { status: error.response?.status ?? error.status, body: error.response?.data } : { data });
}
console.log(JSON.stringify(answers));
