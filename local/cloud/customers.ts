import type { Plan } from "../../contract/plan";

/** A customer who can sign in on this machine. */
export interface SeededCustomer {
  email: string;
  password: string;
  /** Cognito `sub`, the same in every pool and after every restart. */
  sub: string;
  /** The plan they start with. */
  label: Plan;
}

/** One customer of each plan, all with the same password. */
export const customers: SeededCustomer[] = [
  { email: "free@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001", label: "free" },
  { email: "paid@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0002", label: "paid" },
  { email: "vip@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0003", label: "vip" },
];
