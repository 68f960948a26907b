From Coq Require Import Reals ZArith Lra Psatz List Lia Permutation.
From nsn Require Import floating_point mixed_precision.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* The bound of the golden suite for one entry of a matrix product (FLT-8):   *)
(* inputs that carry errors, operands rounded once more (as TF32 does),       *)
(* products and sums in an accumulator, one rounding to storage: product in   *)
(* nsn_ref/certify/rounding.py.                                               *)
(*                                                                            *)
(*          term == one product: the exact x and y, bounds e_x and e_y of the *)
(*                  errors of the computed xh and yh, the operands xo and yo  *)
(*                  that are multiplied, and the operands' unit roundoff uo   *)
(*                  (0 where they are not rounded again, as for a bias)       *)
(*       sound t == the computed numbers and operands meet these bounds       *)
(* exact_sum, input_error, operand_error, magnitude ==                        *)
(*                  the sums over the terms of x y, of e_x |y| + X e_y, of    *)
(*                  2 uo (1 + uo) X Y, of (1 + uo)^2 X Y, with X = |x| + e_x  *)
(*                  and Y = |y| + e_y                                         *)
(******************************************************************************)

Record term := Term { x : R; e_x : R; xh : R; xo : R; y : R; e_y : R; yh : R; yo : R; uo : R }.

Definition sound (t : term) : Prop :=
  0 <= uo t /\ Rabs (xh t - x t) <= e_x t /\ Rabs (yh t - y t) <= e_y t /\
  Rabs (xo t - xh t) <= uo t * Rabs (xh t) /\ Rabs (yo t - yh t) <= uo t * Rabs (yh t).

Definition big (t : term) : R := (Rabs (x t) + e_x t) * (Rabs (y t) + e_y t).

Definition exact_sum (l : list term) : R := sumR (map (fun t => x t * y t) l).
Definition input_error (l : list term) : R :=
  sumR (map (fun t => e_x t * Rabs (y t) + (Rabs (x t) + e_x t) * e_y t) l).
Definition operand_error (l : list term) : R := sumR (map (fun t => 2 * uo t * (1 + uo t) * big t) l).
Definition magnitude (l : list term) : R := sumR (map (fun t => (1 + uo t) * (1 + uo t) * big t) l).
Definition operands (l : list term) : list (R * R) := map (fun t => (xo t, yo t)) l.

Lemma near a b e : Rabs (a - b) <= e -> Rabs a <= Rabs b + e.
Proof.
intros H; replace a with (b + (a - b)) at 1 by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma term_error t : sound t ->
  Rabs (xo t * yo t - x t * y t) <= (e_x t * Rabs (y t) + (Rabs (x t) + e_x t) * e_y t) + 2 * uo t * (1 + uo t) * big t
  /\ Rabs (xo t) * Rabs (yo t) <= (1 + uo t) * (1 + uo t) * big t.
Proof.
intros [U [Hx [Hy [Ox Oy]]]]; unfold big.
assert (X := near _ _ _ Hx); assert (Y := near _ _ _ Hy); assert (Xo := near _ _ _ Ox); assert (Yo := near _ _ _ Oy).
set (Bx := Rabs (x t) + e_x t) in *; set (By := Rabs (y t) + e_y t) in *; set (u := uo t) in *.
assert (X0 := Rabs_pos (xh t)); assert (Y0 := Rabs_pos (yh t)).
assert (Xb : Rabs (xo t) <= (1 + u) * Bx) by nra.
assert (Yb : Rabs (yo t) <= (1 + u) * By) by nra.
split; [|assert (P := Rmult_le_compat _ _ _ _ (Rabs_pos _) (Rabs_pos _) Xb Yb); lra].
replace (xo t * yo t - x t * y t) with
  ((xh t - x t) * y t + xh t * (yh t - y t) + ((xo t - xh t) * yh t + xo t * (yo t - yh t))) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); apply Rplus_le_compat.
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite !Rabs_mult; apply Rplus_le_compat.
  + apply Rmult_le_compat_r; [apply Rabs_pos|assumption].
  + apply Rmult_le_compat; try apply Rabs_pos; assumption.
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite !Rabs_mult.
  assert (A1 : Rabs (xo t - xh t) * Rabs (yh t) <= (u * Bx) * By) by (apply Rmult_le_compat; try apply Rabs_pos; nra).
  assert (A2 : Rabs (xo t) * Rabs (yo t - yh t) <= ((1 + u) * Bx) * (u * By))
    by (apply Rmult_le_compat; try apply Rabs_pos; nra).
  assert (B : 0 <= u * u * Bx * By) by (repeat apply Rmult_le_pos; lra); nra.
Qed.

Lemma operands_error l : (forall t, In t l -> sound t) ->
  Rabs (dot (operands l) - exact_sum l) <= input_error l + operand_error l /\ adot (operands l) <= magnitude l.
Proof.
unfold dot, adot, operands, exact_sum, input_error, operand_error, magnitude, sumR.
induction l as [|t l IH]; intros S; simpl.
- rewrite Rminus_eq_0, Rabs_R0; lra.
- destruct (IH (fun s Hs => S s (or_intror Hs))) as [E A]; destruct (term_error t (S t (or_introl eq_refl))) as [Et At].
  split; [|lra].
  match goal with |- Rabs (?a + ?b - (?c + ?d)) <= _ => replace (a + b - (c + d)) with ((a - c) + (b - d)) by ring end.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Section Matmul.

Variables (u eta v tau : R) (rnd store : R -> R) (fmt : R -> Prop).
Hypothesis u_ge0 : 0 <= u.
Hypothesis eta_ge0 : 0 <= eta.
Hypothesis v_ge0 : 0 <= v.
Hypothesis rnd_fmt : forall z, fmt (rnd z).
Hypothesis rnd_err : forall z, Rabs (rnd z - z) <= u * Rabs z + eta.
Hypothesis add_err : forall a b, fmt a -> fmt b -> Rabs (rnd (a + b) - (a + b)) <= u * Rabs (a + b).
Hypothesis store_err : forall z, Rabs (store z - z) <= v * Rabs z + tau.

Definition matmul_bound (l : list term) : R :=
  input_error l + operand_error l + gamma u (length l) * magnitude l +
  (1 + gamma u (length l)) * (INR (length l) * eta).

(* FLT-8. One entry of X Y + b, in any order, with or without fused multiply-add, before storage. *)
Theorem matmul_error e l : wf fmt e -> isdot e (operands l) -> (forall t, In t l -> sound t) ->
  INR (length l) * u < 1 -> Rabs (fl rnd e - exact_sum l) <= matmul_bound l.
Proof.
intros W T S Hu; assert (L : length (operands l) = length l) by apply map_length.
assert (Hu' : INR (length (operands l)) * u < 1) by (rewrite L; exact Hu).
assert (D := dot_error_any_order u eta rnd fmt u_ge0 eta_ge0 rnd_fmt rnd_err add_err e _ W T Hu'); rewrite L in D.
destruct (operands_error l S) as [E A].
assert (G := gamma_ge0 u (length l) u_ge0 Hu); assert (GA := Rmult_le_compat_l _ _ _ G A).
replace (fl rnd e - exact_sum l) with ((fl rnd e - dot (operands l)) + (dot (operands l) - exact_sum l)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); unfold matmul_bound; lra.
Qed.

(* FLT-8. ... and stored. *)
Theorem matmul_stored_error e l : wf fmt e -> isdot e (operands l) -> (forall t, In t l -> sound t) ->
  INR (length l) * u < 1 ->
  Rabs (store (fl rnd e) - exact_sum l) <= matmul_bound l + v * (Rabs (exact_sum l) + matmul_bound l) + tau.
Proof. intros W T S Hu; apply (store_error v tau store v_ge0 store_err); now apply matmul_error. Qed.

End Matmul.
