import { create, type Settings } from "../../functions/relay";
import { shortDeadlines } from "./cap";

/**
 * The relay's function with shorter deadlines. It reads its settings from the environment variable `RELAY_SETTINGS`.
 */
export const handler = create(JSON.parse(process.env.RELAY_SETTINGS ?? "") as Settings, { deadlines: shortDeadlines });
