import { afterEach } from "vitest";
import { expectDocumentedAnswers } from "./suiteCloud";

// Setup file of the tests with a shared local cloud. A test fails when one of its answers is missing in the OpenAPI
// document.
afterEach(() => expectDocumentedAnswers());
