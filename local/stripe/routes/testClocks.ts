import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import { list } from "../lookups";
import * as blank from "../objectDefaults";
import { expand, int, paging } from "../parameters";
import { nothing, type Route, route } from "../route";

/** Test clocks. */
export function testClocksRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /test_helpers/test_clocks",
      z.strictObject({ frozen_time: int, name: z.string().optional(), expand }),
      ({ frozen_time, name }) =>
        ledger.put(
          "test_helpers.test_clock",
          blank.testClock({ id: newId("clock"), created: account.now(), frozen_time, name: name ?? null }),
        ),
    ),
    route("GET /test_helpers/test_clocks/:id", nothing, (_, id) => account.testClock(id)),
    route("GET /test_helpers/test_clocks", z.strictObject(paging), (page) =>
      list(ledger, "test_helpers.test_clock", "/v1/test_helpers/test_clocks", page),
    ),
    route(
      "POST /test_helpers/test_clocks/:id/advance",
      z.strictObject({ frozen_time: int, expand }),
      ({ frozen_time }, id) => account.advanceClock(id, frozen_time),
    ),
    route("DELETE /test_helpers/test_clocks/:id", nothing, (_, id) => {
      ledger.get("test_helpers.test_clock", id);
      ledger.remove("test_helpers.test_clock", id);
      return { id, object: "test_helpers.test_clock", deleted: true };
    }),
  ];
}
