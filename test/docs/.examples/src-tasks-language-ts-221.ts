import { normaliseText } from "qklab/tasks";
checkPromise(normaliseText("one\r\ntwo"), "\"one\\ntwo\""); // "one\ntwo"
