import { createApi, createSignIn } from "@snack-misaki/client";
import type { PageConfig } from "./config";

/** The part of Swagger UI that this page uses. `swagger-ui-bundle.js` defines the global. */
interface SwaggerUi {
  /** Fills in the credentials of a security scheme. */
  preauthorizeApiKey(scheme: string, value: string): void;
}

declare const SwaggerUIBundle: (options: {
  url: string;
  dom_id: string;
  deepLinking: boolean;
  tryItOutEnabled: boolean;
  validatorUrl: null;
  onComplete(): void;
}) => SwaggerUi;

const ui = SwaggerUIBundle({
  url: "/reference/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  tryItOutEnabled: true,
  // Turns off the online validator, so that the document is not sent to another server.
  validatorUrl: null,
  onComplete: () => void authorize(),
});

/** Fills in the ID token of the customer who has signed in on the page, and the ticket of a new session. */
async function authorize(): Promise<void> {
  const config = (await (await fetch("/config.json")).json()) as PageConfig;
  const { getIdToken } = createSignIn(config.auth);
  const idToken = await getIdToken();
  if (idToken) ui.preauthorizeApiKey("idToken", idToken);
  const api = createApi({ apiUrl: config.apiUrl, getIdToken });
  const { ticket } = await (idToken ? api.session() : api.guest());
  ui.preauthorizeApiKey("ticket", ticket);
}
