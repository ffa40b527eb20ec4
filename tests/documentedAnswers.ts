import { afterEach } from "vitest";
import { expectDocumentedAnswers } from "./suiteCloud";

// Setup file of the tests with a shared local cloud: a test fails when one of its answers is not in the OpenAPI document.
afterEach(() => expectDocumentedAnswers());
