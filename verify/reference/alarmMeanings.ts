/**
 * Meaning of each alarm in Japanese, for docs/operations.ja.md. `<model>` and `<function>` stand for a name. The
 * meaning uses the same placeholder. infra/alarms.ts has the English meaning.
 */
export const alarmMeanings: Record<string, string> = {
  "customers-cannot-chat":
    "お客様が会話できません。会話が失敗しているか、Lambda または API が拒否しています。ワーカーとの直接の会話は数えません。",
  "chat-failure-rate": "直近 5 分の会話の 20 % 超が、こちらの原因で失敗しました。",
  "chat-volume": "直近 5 分に 10 件以上の会話が終わりました。失敗の割合に意味があります。",
  "relay-crashes": "リレー自体が 5 分間に 10 回、クラッシュまたはタイムアウトしました。会話を数えられません。",
  "webhook-signatures":
    "Webhook へのリクエストの署名が正しくありません。更新の直後ならシークレットの誤り、それ以外なら第三者からの送信です。",
  "webhook-lag": "Stripe のイベントの処理が、作成から 15 分以上遅れています。お客様は支払ったプランを待っています。",
  "reconciler-fixes":
    "Webhook に届かなかったイベントを reconciler が処理しました。Stripe が Webhook に届いていません。",
  "reconciler-errors": "reconciler が失敗しているか、動いていません。期限を過ぎた行のプランがそのまま残ります。",
  "unknown-customer": "Stripe または users テーブルにない顧客です。Stripe のキーが別のアカウントのものかもしれません。",
  "another-customer": "購入の利用者が、別の Stripe の顧客にリンクされています。リンク済みの顧客のプランが有効です。",
  "customer-of-two-users": "2 人の利用者に同じ Stripe の顧客がリンクされています。誤ったリンクを unlink で外します。",
  "two-live-subscriptions":
    "ひとりのお客様が 2 つのサブスクリプションに支払っています。Stripe で片方を返金し、解約します。",
  "unknown-status": "プログラムの知らないサブスクリプションの状態です。この状態ではプランは付きません。",
  "unknown-price": "billing.prices にない価格で支払っているお客様がいます。この価格ではプランは付きません。",
  "open-dispute":
    "お客様が銀行に異議を申し立てました(チャージバック)。プランは終了します。Stripe のダッシュボードで回答します。",
  "paid-subscription-canceled":
    "プログラムが解約したサブスクリプションに、その間に支払いがありました。返金が必要かもしれません。",
  "portal-cannot-change-plan": "Stripe のカスタマーポータルの設定で、プランの変更が許可されていません。",
  "event-not-recorded":
    "Stripe のイベントを処理しましたが、記録できませんでした。もう一度処理されますが、害はありません。",
  "event-not-counted": "ephemeral テーブルが応答しません。イベントは処理されますが、回数の制限が効きません。",
  "reconciler-failed": "reconciler がイベントの処理またはお客様の同期に失敗しました。次の実行でやり直します。",
  "reconciler-incomplete":
    "reconciler の時間が足りませんでした。次の実行で続けます。繰り返す場合は、お客様の数に対して時間が足りません。",
  "api-5xx": "API が 5xx エラーを返しています。お客様はサインイン、支払い、会話ができません。",
  "<function>-throttled": "Lambda が <function> の実行を拒否しています。予約またはアカウントの同時実行数の上限です。",
  "relay-5xx": "リレーが、最初の文を送る前に 5xx エラーを返しています。",
  "relay-fallbacks":
    "モデルがたびたび失敗し、リレーが再試行するか次のモデルに切り替えています。待ち時間が長くなります。",
  "relay-provider":
    "外部の LLM または RunPod がリレーのリクエストを拒否しています(キーの誤り、上限、存在しないモデル、不正なリクエスト)。",
  "usage-not-settled": "会話の実際の利用量を書き込めませんでした。予約した量は自然に消えます。",
  "unknown-vip-provider": "リレーの変数 VIP_PROVIDERS に、プログラムの知らないプロバイダーがあります。",
  "<model>-crash-loop": "ジョブが待っているのに、<model> のワーカーが起動時にクラッシュしています。",
  "<model>-unhealthy": "<model> のワーカーが 10 分間、RunPod のヘルスチェックに失敗しています。",
  "<model>-no-capacity": "ジョブが <model> を待っていますが、3 分間、エンドポイントにワーカーが 1 つもありません。",
  "<model>-scarcity":
    "ジョブが待っていますが、<model> のワーカーが 10 分間 GPU を待っています。gpuIds に GPU プールを追加します。",
  "<model>-shrunk": "RunPod が <model> のワーカーの最大数を下げました。使われていないエンドポイントで起こります。",
  "<model>-jobs-failed": "RunPod が <model> のジョブを失敗として終えました。",
  "<model>-spend": "<model> のワーカーの 1 時間の費用が operations.hourlyUsd を超えました。",
  "vip-spend-ceiling":
    "外部の LLM の 1 日の費用が vip.dailyUsd に達しました。UTC の 0 時まで、有料プランのモデルが VIP に応答します。",
  "poller-silent":
    "poller が動いていないか、RunPod を読めません。その間、エンドポイントのアラームは何も検知できません。",
  "poller-errors": "poller が失敗しています。",
  "canary-errors":
    "canary が失敗しているか、動いていません。その間、候補モデルに問題があっても、自動の切り戻しは行われません。",
  "candidate-unreadable":
    "候補モデルのパラメーターを読めません。最後に読めた候補を 60 秒使い、その後は公開中のモデルが応答します。パラメーターの値が正しくない場合は、すぐに公開中のモデルが応答します。",
  registryRefresh: "RunPod のレジストリの認証情報を更新できませんでした。12 時間以内にイメージを取得できなくなります。",
  "registry-token-age": "レジストリのトークンが 8 時間より古くなりました。6 時間ごとに更新され、12 時間で切れます。",
  "failed-runs":
    "再試行しても、レジストリのトークンを更新できませんでした。そのイベントは失敗した実行のキューにあります。",
  "runpod-unreadable":
    "関数が RunPod のエンドポイントの情報の一部を読めません。どの部分かはログにあり、その指標が欠けています。",
  "keep-alive-failed":
    "キープアライブのジョブの送信が 30 分間に 3 回失敗しました。3 日間ジョブのないエンドポイントは、RunPod に縮小されます。",
};
