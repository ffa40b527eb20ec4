import { Hono } from "hono";
import { HTTP_API } from "../httpApi/resources";
import type { AwsAccount } from "../support/account";

/** API Gateway's API, version 2: `GetApi`. */
export function apisApi(account: AwsAccount): Hono {
  const app = new Hono();
  app.get("/v2/apis/:id", (c) => {
    const found = account.get(HTTP_API.api, c.req.param("id"));
    if (!found) {
      c.header("x-amzn-errortype", "NotFoundException");
      return c.json({ message: `Invalid API identifier specified ${account.accountId}:${c.req.param("id")}` }, 404);
    }
    const { name, protocolType, apiEndpoint } = found.outputs;
    return c.json({ apiId: found.id, name, protocolType, apiEndpoint });
  });
  return app;
}
