// Reads the statistics as the vendor's page says: endpoint, token and a list of queries come in, their answers go out.
import Storyblok from "storyblok-js-client";

// A fourth argument is the rate that the client keeps to by itself, calls a second; a fifth which statistics.
const [endpoint, oauthToken, queries, rateLimit, statistics = "all_traffic"] = process.argv.slice(2);
const storyblok = new Storyblok({ endpoint, oauthToken, ...(rateLimit && { rateLimit: Number(rateLimit) }) });
const answers = await Promise.all(
  JSON.parse(queries).map(async (query) => {
    try {
      const { data } = await storyblok.get(`orgs/me/statistics/${statistics}`, query);
      return { data };
    } catch (error) {
      return { status: error.status, message: error.message };
    }
  }),
);
console.log(JSON.stringify(answers));
