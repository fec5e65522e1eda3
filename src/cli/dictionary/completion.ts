/** @file Dictionary of `qklab completion`. */
import { type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "print a script that completes commands, options and selectors in a shell",
    zh: "输出 shell 补全脚本（命令、选项与选择器）",
  },
  shell: { en: "the shell", zh: "shell 名称" },
  details: {
    en: 'bash: eval "$(qklab completion bash)" in ~/.bashrc · zsh: the same in ~/.zshrc after compinit · fish: qklab completion fish > ~/.config/fish/completions/qklab.fish',
    zh: 'bash：在 ~/.bashrc 中写 eval "$(qklab completion bash)" · zsh：在 ~/.zshrc 的 compinit 之后写同样内容 · fish：qklab completion fish > ~/.config/fish/completions/qklab.fish',
  },
} satisfies Record<string, Text>;
