import type { PriceSource } from "./source";

/** Region of the prices. */
export const AWS_PRICE_REGION = "ap-northeast-1";

export const awsPriceSource: PriceSource = {
  of: `AWS, ${AWS_PRICE_REGION}`,
  date: "2026-11-27",
  source:
    "aws.amazon.com/<service>/pricing, first tier, without the free tier; noted by hand, so compare the first bill",
};

const MILLION = 1_000_000;

/** Prices in US dollars. The name of each price says its unit. */
export const awsPrices = {
  lambda: { gbSecondArm: 0.0000133334, request: 0.2 / MILLION },
  httpApi: { request: 1.29 / MILLION },
  dynamodb: { write: 0.715 / MILLION, read: 0.143 / MILLION, gbMonth: 0.285, backupGbMonth: 0.228 },
  cloudwatch: {
    metricMonth: 0.3,
    alarmMonth: 0.1,
    compositeAlarmMonth: 0.5,
    dashboardMonth: 3,
    logGb: 0.76,
    storedLogGbMonth: 0.033,
  },
  /** Plan "Essentials". A user counts in each month with a sign-in or a refresh of a token. */
  cognito: { monthlyUser: 0.015 },
  ecr: { gbMonth: 0.1 },
  /** From the Region to the internet. RunPod's hosts are on the internet. */
  transfer: { gbOut: 0.114 },
  /** Requests and bytes of readers in Japan. */
  cloudfront: { httpsRequest: 0.012 / 10_000, gbOut: 0.114 },
  kms: { request: 0.03 / 10_000 },
  scheduler: { run: 1.25 / MILLION },
  sns: { email: 2 / 100_000 },
} as const;
