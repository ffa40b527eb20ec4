import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pytestArguments, selectTests, vitestArguments } from "./selection";

const checkout = "tests/billing/checkout.test.ts";
const ticket = "tests/functions/ticket.test.ts";
const tables = "tests/tables/tables.test.ts";
const workerTicket = "images/worker/tests/test_ticket.py";
const trainingGates = "training/tests/test_gates.py";

const files = {
  [checkout]: `it("refuses an expired price")`,
  [ticket]: `describe("Ticket", () => it("rejects one that has expired"))`,
  [tables]: `testUsers()`,
  "tests/tables/users.ts": `it("reads a customer by email")`,
  [workerTicket]: "def test_expired_ticket() -> None:\n    pass\n",
  [trainingGates]: "def test_expired_licence() -> None:\n    pass\n",
  "images/worker/tests/test_engine.py": "# an expired ticket\ndef test_engine() -> None:\n    pass\n",
};

const root = mkdtempSync(join(tmpdir(), "snack-misaki-selection-"));
const select = (...args: string[]) => selectTests(args, root);

beforeAll(() => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("Arguments of npm test", () => {
  it.each([checkout, `./${checkout}`, join(root, checkout), "checkout", "billing/"])(
    "select a test file by its path or a part of the path: %s",
    (arg) => {
      expect(select(arg)).toEqual({ vitest: { files: [checkout], words: [] } });
    },
  );

  it("select TypeScript and Python test files whose paths contain the argument", () => {
    expect(select("ticket")).toEqual({
      vitest: { files: [ticket], words: [] },
      pytest: { files: [workerTicket], words: [] },
    });
  });

  it("select TypeScript and Python tests whose names contain all given words", () => {
    expect(select("Expired ticket")).toEqual({
      vitest: { files: [ticket], words: ["Expired", "ticket"] },
      pytest: { files: [workerTicket], words: ["Expired", "ticket"] },
    });
  });

  it("select tests of the training package", () => {
    expect(select("expired licence")).toEqual({
      pytest: { files: [trainingGates], words: ["expired", "licence"] },
    });
  });

  it("select only tests that match both the path and the words", () => {
    expect(select("billing", "expired")).toEqual({ vitest: { files: [checkout], words: ["expired"] } });
  });

  it("select a test by its name when a helper file declares the test", () => {
    expect(select("customer email")).toEqual({ vitest: { files: [tables], words: ["customer", "email"] } });
  });

  it("are rejected when no test matches", () => {
    expect(() => select("tests/no/such.test.ts")).toThrow(
      "tests/no/such.test.ts: no test file's path contains this text.",
    );
    expect(() => select("unheard", "of")).toThrow("No test matches unheard of.");
  });
});

describe("Arguments of the test runners", () => {
  it("contain only the files when the selection has no words", () => {
    expect(vitestArguments({ files: [ticket], words: [] })).toEqual([ticket]);
    expect(pytestArguments({ files: [workerTicket], words: [] }, "images/worker")).toEqual(["tests/test_ticket.py"]);
  });

  it("for pytest contain only the files of one package", () => {
    const selection = { files: [workerTicket, trainingGates], words: [] };
    expect(pytestArguments(selection, "training")).toEqual(["tests/test_gates.py"]);
    expect(pytestArguments({ files: [workerTicket], words: [] }, "training")).toBeUndefined();
  });

  it("for vitest contain one case-insensitive pattern that matches all words", () => {
    const [, flag, pattern = ""] = vitestArguments({ files: [ticket], words: ["a.b", "Ticket"] });
    expect(flag).toBe("--testNamePattern");
    expect(new RegExp(pattern).test("the tICKET of A.B")).toBe(true);
    expect(new RegExp(pattern).test("the ticket of axb")).toBe(false);
    expect(new RegExp(pattern).test("a.b alone")).toBe(false);
  });

  it("for pytest contain one expression with all words", () => {
    const { pytest } = select("expired ticket");
    expect(pytest && pytestArguments(pytest, "images/worker")).toEqual([
      "tests/test_ticket.py",
      "-k",
      "expired and ticket",
    ]);
  });
});
