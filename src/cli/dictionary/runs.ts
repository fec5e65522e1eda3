/** @file Dictionary of `qklab train` and `qklab compare`: what they say while runs are under way and when they end. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  trainSummary: {
    en: "train one attention on one task, in this process",
    zh: "在本进程中用一个任务训练一种注意力",
  },
  trainDetails: {
    en:
      "Trains, measures, and keeps the run in a folder of its own below --out. Ctrl-C writes a checkpoint and stops; --resume goes on with the same " +
      "numbers as a run that was never stopped; a second Ctrl-C stops at once.",
    zh: "训练、测量，并把运行保存在 --out 下的单独文件夹中。Ctrl-C 会保存检查点并停止；--resume 继续后得到与从未停止时相同的数值；再按一次 Ctrl-C 立即停止。",
  },
  compareSummary: {
    en: "train every similarity on every task, side by side, and report what is better by more than its spread",
    zh: "在每个任务上并排训练每种相似度，并报告哪些差异超出了波动范围",
  },
  compareDetails: {
    en:
      "Comma lists are a matrix. Every attention gets a calibrated temperature and several learning rates, of which the best on validation data counts. " +
      "Prints a table; writes report.html, report.json and a folder for each run. Ctrl-C writes checkpoints and stops; --resume goes on; a second Ctrl-C stops at once.",
    zh:
      "逗号列表构成矩阵。每种注意力都使用校准后的温度和多个学习率，以验证数据上最好的为准。输出表格，并写出 report.html、report.json 和每次运行的文件夹。" +
      "Ctrl-C 会保存检查点并停止；--resume 继续；再按一次 Ctrl-C 立即停止。",
  },
  loss: { en: "loss", zh: "损失" },
  perSecond: (rate: string, unit: string): Bilingual => ({
    en: `${rate} ${unit}/s`,
    zh: `${rate} ${unit}/秒`,
  }),
  left: (time: string): Bilingual => ({ en: `${time} left`, zh: `剩余 ${time}` }),
  measuring: { en: "measuring", zh: "正在测量" },
  step: (step: number, steps: number): Bilingual => ({
    en: `step ${step}/${steps}`,
    zh: `第 ${step}/${steps} 步`,
  }),
  stopping: {
    en: "Stopping after a checkpoint; press Ctrl-C again to stop at once",
    zh: "正在保存检查点后停止；再按一次 Ctrl-C 立即停止",
  },
  training: (run: string, folder: string): Bilingual => ({
    en: `Training ${run} in ${folder}`,
    zh: `正在训练 ${run}，文件夹 ${folder}`,
  }),
  resuming: (run: string, folder: string): Bilingual => ({
    en: `Going on with ${run} in ${folder}`,
    zh: `继续训练 ${run}，文件夹 ${folder}`,
  }),
  trained: (time: string, folder: string): Bilingual => ({
    en: `Done in ${time}; kept in ${folder}`,
    zh: `用时 ${time}；保存在 ${folder}`,
  }),
  stoppedAt: (step: number, folder: string): Bilingual => ({
    en: `Stopped after step ${step}; ${folder} goes on from there`,
    zh: `在第 ${step} 步后停止；${folder} 可从该处继续`,
  }),
  resumable: (folder: string): Bilingual => ({
    en: `The run is kept as far as it came: qklab train --resume ${folder} goes on`,
    zh: `运行已保存到目前为止的进度：可用 qklab train --resume ${folder} 继续`,
  }),
  notes: (note: string): Bilingual => ({ en: `Note: ${note}`, zh: `注意：${note}` }),
  planned: (runs: number, jobs: number, folder: string): Bilingual => ({
    en: `${runs} runs, ${jobs} at a time, in ${folder}`,
    zh: `${runs} 次运行，同时 ${jobs} 个，文件夹 ${folder}`,
  }),
  reused: (runs: number): Bilingual => ({
    en: `${runs} runs are done already`,
    zh: `其中 ${runs} 次已经完成`,
  }),
  finished: (run: string, metric: string, time: string): Bilingual => ({
    en: `✓ ${run}: ${metric} in ${time}`,
    zh: `✓ ${run}：${metric}，用时 ${time}`,
  }),
  diverged: (run: string, message: string): Bilingual => ({
    en: `~ ${run} diverged: ${message}`,
    zh: `~ ${run} 发散：${message}`,
  }),
  failed: (run: string, message: string): Bilingual => ({
    en: `✗ ${run}: ${message}`,
    zh: `✗ ${run}：${message}`,
  }),
  stopped: (run: string): Bilingual => ({
    en: `‖ ${run}: stopped with a checkpoint`,
    zh: `‖ ${run}：已保存检查点并停止`,
  }),
  total: (ended: number, planned: number): Bilingual => ({
    en: `${ended} of ${planned} runs`,
    zh: `已完成 ${ended}/${planned} 次运行`,
  }),
  reporting: { en: "Writing the report", zh: "正在写报告" },
  report: (path: string): Bilingual => ({ en: `Report: ${path}`, zh: `报告：${path}` }),
  ended: (finished: number, failed: number, diverged: number, left: number): Bilingual => ({
    en: [
      `${finished} runs finished`,
      ...(diverged > 0 ? [`${diverged} diverged`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(left > 0 ? [`${left} are left`] : []),
    ].join(", "),
    zh: [
      `完成 ${finished} 次`,
      ...(diverged > 0 ? [`发散 ${diverged} 次`] : []),
      ...(failed > 0 ? [`失败 ${failed} 次`] : []),
      ...(left > 0 ? [`剩余 ${left} 次`] : []),
    ].join("，"),
  }),
  needsTask: {
    en: "Cannot train as it must be said what: --task and --similarity are needed. Write for example --task recall --similarity l2",
    zh: "无法训练，因为必须说明训练什么：需要 --task 与 --similarity。例如写 --task recall --similarity l2",
  },
} satisfies Record<string, Text>;
