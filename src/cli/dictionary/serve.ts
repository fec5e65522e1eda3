/** @file Dictionary of `qklab serve`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "a trained model as an HTTP server, for clients of OpenAI's interface",
    zh: "将训练好的模型作为 HTTP 服务器提供，供 OpenAI 接口的客户端使用",
  },
  details: {
    en:
      "Answers /v1/models, /v1/completions, /v1/chat/completions (also streamed), /v1/attention (the weights of a layer's heads for a text), /health and /metrics " +
      "(Prometheus). Only programs of this machine reach it, unless --host names another address; then --token or QKLAB_TOKEN is needed. The address goes to stdout. " +
      "Ctrl-C lets running requests finish, a second one ends at once.",
    zh:
      "提供 /v1/models、/v1/completions、/v1/chat/completions（可流式）、/v1/attention（某层各头对一段文本的权重）、/health 与 /metrics（Prometheus）。" +
      "默认只有本机程序可以访问；若 --host 指定其他地址，则必须给出 --token 或 QKLAB_TOKEN。地址写到 stdout。" +
      "Ctrl-C 让进行中的请求完成，再按一次立即结束。",
  },
  name: {
    en: "what clients call the model (default: the last part of --model)",
    zh: "客户端使用的模型名（默认为 --model 的最后一部分）",
  },
  host: { en: "address to listen at", zh: "监听的地址" },
  port: { en: "port; 0 takes a free one", zh: "端口；0 表示任选空闲端口" },
  token: {
    en: "what requests must bring as Authorization: Bearer (default: QKLAB_TOKEN, which other users do not see)",
    zh: "请求须以 Authorization: Bearer 携带的令牌（默认取 QKLAB_TOKEN，其他用户看不到它）",
  },
  cors: {
    en: "origin of a page that may ask; again for several",
    zh: "允许访问的网页来源；可多次给出",
  },
  maxConcurrent: { en: "requests that compute beside each other", zh: "同时计算的请求数" },
  maxQueue: {
    en: "requests that wait for that; more are answered 429",
    zh: "排队等待的请求数；超出者返回 429",
  },
  maxBody: { en: "bytes of a request's body", zh: "请求正文的最大字节数" },
  grace: {
    en: "how long running requests may go on when it stops (default 10s)",
    zh: "停止时进行中的请求还可继续多久（默认 10s）",
  },
  seed: { en: "seed of answers to requests that bring none", zh: "未带种子的请求所用的随机种子" },
  serving: (id: string, address: string): Bilingual => ({
    en: `Serving ${id} at ${address}; Ctrl-C stops`,
    zh: `正在 ${address} 提供 ${id}；按 Ctrl-C 停止`,
  }),
  tokens: (prompt: number, generated: number): Bilingual => ({
    en: ` ${prompt}+${generated} tokens`,
    zh: ` ${prompt}+${generated} 个词元`,
  }),
  failed: (message: string): Bilingual => ({
    en: `A request failed: ${message}`,
    zh: `一个请求失败：${message}`,
  }),
  stopping: (running: number, seconds: number): Bilingual => ({
    en: `Stopping: ${running} running requests have ${seconds} s to finish; Ctrl-C again ends now`,
    zh: `正在停止：${running} 个进行中的请求还有 ${seconds} 秒；再按一次 Ctrl-C 立即结束`,
  }),
  stopped: (requests: number): Bilingual => ({
    en: `Stopped after ${requests} requests`,
    zh: `已停止，共处理 ${requests} 个请求`,
  }),
  noToken: (host: string): Bilingual => ({
    en: `Cannot listen at ${host} without a token as others than this machine could ask: no --token, and QKLAB_TOKEN is empty. Set QKLAB_TOKEN, or leave out --host`,
    zh: `没有令牌时不能监听 ${host}，因为其他机器也能访问：既没有 --token，QKLAB_TOKEN 也为空。请设置 QKLAB_TOKEN，或去掉 --host`,
  }),
  badToken: {
    en: "Cannot use the token as it must be visible ASCII characters without spaces: it has others. Pass another, such as one of `openssl rand -hex 32`",
    zh: "无法使用该令牌，因为它只能含可见的 ASCII 字符且不能有空格。请换一个，例如由 `openssl rand -hex 32` 生成",
  },
  badPort: (seen: number): Bilingual => ({
    en: `Cannot use --port as it must be a whole number from 0 to 65535: '${seen}'. Write for example 8080`,
    zh: `无法使用 --port，因为它必须是 0 到 65535 的整数：'${seen}'。例如可写 8080`,
  }),
  badOrigin: (seen: string): Bilingual => ({
    en: `Cannot use --cors as it must be the origin of a page, with scheme and host alone: '${seen}'. Write for example http://localhost:5173`,
    zh: `无法使用 --cors，因为它必须是网页来源，只含协议与主机：'${seen}'。例如可写 http://localhost:5173`,
  }),
  cannotListen: (host: string, port: number, reason: Bilingual): Bilingual => ({
    en: `Cannot listen at ${host}, port ${port} as ${reason.en}. Pass another --port (0 takes a free one) or --host`,
    zh: `无法监听 ${host} 的端口 ${port}，因为${reason.zh}。请改用其他 --port（0 表示任选空闲端口）或 --host`,
  }),
  inUse: { en: "a port has one server: another one is there", zh: "一个端口只能有一个服务器，而它已被占用" },
  noRight: { en: "the system must allow it: it does not", zh: "系统必须允许，而它不允许" },
  noAddress: {
    en: "the address must be one of this machine: it is none",
    zh: "该地址必须属于本机，而它不是",
  },
  otherReason: (message: string): Bilingual => ({
    en: `the system must allow it: ${message}`,
    zh: `系统必须允许：${message}`,
  }),
} satisfies Record<string, Text>;
