From Coq Require Import Reals Lra Psatz List.
From Coquelicot Require Import Coquelicot.
From nsn Require Import running_error.
Local Open Scope R_scope.

(******************************************************************************)
(* How errors of the inputs pass through ReLU, SiLU, softmax, cross-entropy   *)
(* (FLT-9): the enclosures of the golden suite, before the operation's own    *)
(* roundings.                                                                 *)
(*                                                                            *)
(*          relu z == max(z, 0)                                relu_forward   *)
(*          silu z == z / (1 + exp(-z))                        silu_forward   *)
(* softmax zj others == the probability of a class with logit zj, beside the  *)
(*                   logits of the other classes                              *)
(*     loss zj others == - ln of it            softmax_cross_entropy_forward  *)
(* Forall2 Rle l l' == l is at most l', term by term                          *)
(******************************************************************************)

Definition relu (z : R) : R := Rmax z 0.

(* FLT-9. ReLU does not enlarge an error ... *)
Theorem relu_error e a z zh : within e a z zh -> within e (relu a) (relu z) (relu zh).
Proof.
assert (S : forall y, Rabs (y - z) <= e -> Rabs (relu y - relu z) <= e).
{ intros y H; unfold relu, Rmax; destruct (Rle_dec y 0), (Rle_dec z 0); unfold Rabs in *;
  repeat destruct Rcase_abs; lra. }
intros [H1 H2]; split; now apply S.
Qed.

(* FLT-9. ... and its derivative is decided where the input is further from 0 than its error. *)
Theorem relu_decided e a z zh : within e a z zh -> 2 * e < Rabs a -> (0 < a <-> 0 < zh) /\ (0 < z <-> 0 < zh).
Proof. intros [H1 H2] A; unfold Rabs in *; repeat destruct Rcase_abs; lra. Qed.

Definition silu (z : R) : R := z / (1 + exp (- z)).

Definition silu_slope (z : R) : R := (1 + exp (- z) + z * exp (- z)) / (1 + exp (- z)) ^ 2.

Lemma silu_derivative z : is_derive silu z (silu_slope z).
Proof.
assert (P := exp_pos (- z)); unfold silu, silu_slope; auto_derive; [lra|field; lra].
Qed.

Lemma exp_226 : 100 / 13 <= exp (226 / 100).
Proof.
assert (D : forall x a, 0 <= a -> a <= exp x -> a * a <= exp (x + x)).
{ intros x a H0 H; rewrite exp_plus; apply Rmult_le_compat; lra. }
set (x := 226 / 1600); assert (E1 : 114 / 100 <= exp x) by (unfold x; generalize (exp_ineq1_le (226 / 1600)); lra).
apply D in E1; [|lra]; apply D in E1; [|lra]; apply D in E1; [|lra]; apply D in E1; [|lra].
replace (226 / 100) with (x + x + (x + x) + (x + x + (x + x)) + (x + x + (x + x) + (x + x + (x + x)))) by (unfold x; lra).
lra.
Qed.

Lemma below_exp z : z <= 13 / 100 * exp z + 126 / 100.
Proof.
destruct (Rle_or_lt z (126 / 100)) as [H|H]; [generalize (exp_pos z); lra|].
assert (E := exp_ineq1_le (z - 226 / 100)); assert (B := exp_226).
replace (exp z) with (exp (z - 226 / 100) * exp (226 / 100)) by (rewrite <- exp_plus; f_equal; lra).
assert (M : (z - 126 / 100) * (100 / 13) <= exp (z - 226 / 100) * exp (226 / 100)) by (apply Rmult_le_compat; lra).
lra.
Qed.

Lemma silu_slope_bound z : Rabs (silu_slope z) <= 113 / 100.
Proof.
assert (P := exp_pos (- z)); assert (L := exp_ineq1_le (- z)); assert (U := below_exp z).
assert (I : exp z * exp (- z) = 1) by (rewrite <- exp_plus, Rplus_opp_r; apply exp_0).
set (t := exp (- z)) in *; unfold silu_slope; fold t.
assert (T : 0 < (1 + t) ^ 2) by (apply pow_lt; lra).
assert (UT : z * t <= (13 / 100 * exp z + 126 / 100) * t) by (apply Rmult_le_compat_r; lra).
assert (LT : - z * t <= (t - 1) * t) by (apply Rmult_le_compat_r; lra).
apply Rabs_le; split; apply (Rmult_le_reg_r ((1 + t) ^ 2)); try assumption;
  unfold Rdiv; rewrite Rmult_assoc, ?Rmult_assoc, ?Rinv_l by lra; nra.
Qed.

(* FLT-9. SiLU moves at most 1.13 times as far as its input. *)
Theorem silu_lipschitz x y : Rabs (silu x - silu y) <= 113 / 100 * Rabs (x - y).
Proof.
destruct (MVT_gen silu y x silu_slope) as [c [_ ->]].
- intros z _; apply silu_derivative.
- intros z _; apply continuity_pt_filterlim, (ex_derive_continuous silu z); eexists; apply silu_derivative.
- rewrite Rabs_mult; apply Rmult_le_compat_r; [apply Rabs_pos|apply silu_slope_bound].
Qed.

Definition exps (l : list R) : R := fold_right (fun z s => exp z + s) 0 l.
Definition softmax (zj : R) (others : list R) : R := exp zj / (exp zj + exps others).
Definition loss (zj : R) (others : list R) : R := - ln (softmax zj others).

Lemma exps_ge0 l : 0 <= exps l.
Proof. induction l as [|z l IH]; simpl; [lra|]; generalize (exp_pos z); lra. Qed.

Lemma exp_le x y : x <= y -> exp x <= exp y.
Proof. intros [H| ->]; [left; now apply exp_increasing|lra]. Qed.

Lemma exps_le l l' : Forall2 Rle l l' -> exps l <= exps l'.
Proof. induction 1 as [|x y l l' H _ IH]; simpl; [lra|]; generalize (exp_le _ _ H); lra. Qed.

Lemma softmax_gt0 zj others : 0 < softmax zj others.
Proof. unfold softmax; apply Rdiv_lt_0_compat; generalize (exp_pos zj) (exps_ge0 others); lra. Qed.

(* FLT-9. Softmax rises with its own logit and falls with the others ... *)
Theorem softmax_corners zj zj' others others' : zj <= zj' -> Forall2 Rle others' others ->
  softmax zj others <= softmax zj' others'.
Proof.
intros Hj Ho; apply exp_le in Hj; apply exps_le in Ho; unfold softmax.
assert (P := exp_pos zj); assert (Q := exps_ge0 others'); set (x := exp zj) in *; set (y := exp zj') in *.
apply (Rmult_le_reg_r (x + exps others)); [lra|]; unfold Rdiv at 1; rewrite Rmult_assoc, Rinv_l by lra.
apply (Rmult_le_reg_r (y + exps others')); [lra|].
replace (y / (y + exps others') * (x + exps others) * (y + exps others')) with (y * (x + exps others)) by (field; lra).
assert (M : x * exps others' <= y * exps others) by (apply Rmult_le_compat; lra); lra.
Qed.

(* FLT-9. ... so that with logits within e of the exact ones the loss lies between its values at
   the two corners, all other logits moving against the label's. *)
Theorem loss_corners zj zh lo hi others othersh : lo <= zh <= hi -> lo <= zj <= hi ->
  forall olo ohi, Forall2 Rle olo othersh -> Forall2 Rle othersh ohi ->
  Forall2 Rle olo others -> Forall2 Rle others ohi ->
  loss hi olo <= loss zh othersh <= loss lo ohi /\ loss hi olo <= loss zj others <= loss lo ohi.
Proof.
assert (S : forall a b c d, a <= c -> Forall2 Rle d b -> loss c d <= loss a b).
{ intros a b c d H1 H2; unfold loss; apply Ropp_le_contravar.
  destruct (softmax_corners _ _ _ _ H1 H2) as [H|H]; [|rewrite H; lra].
  left; apply ln_increasing; [apply softmax_gt0|exact H]. }
intros [H1 H2] [H3 H4] olo ohi O1 O2 O3 O4; repeat split; now apply S.
Qed.

Lemma lossE zj others : loss zj others = ln (exp zj + exps others) - zj.
Proof.
assert (P := exp_pos zj); assert (Q := exps_ge0 others).
unfold loss, softmax, Rdiv; rewrite ln_mult, ln_Rinv, ln_exp by (try apply Rinv_0_lt_compat; lra); ring.
Qed.

Lemma exps_within e others others' : Forall2 (fun z z' => Rabs (z - z') <= e) others others' ->
  exps others <= exp e * exps others'.
Proof.
induction 1 as [|z z' l l' H _ IH]; simpl; [lra|].
assert (E : exp z <= exp e * exp z'); [|lra].
rewrite <- exp_plus; apply exp_le; unfold Rabs in H; destruct Rcase_abs; lra.
Qed.

Lemma loss_moves e zj zh others othersh : Rabs (zj - zh) <= e ->
  Forall2 (fun z z' => Rabs (z - z') <= e) others othersh -> loss zj others <= loss zh othersh + 2 * e.
Proof.
intros Hj Ho; apply exps_within in Ho; rewrite !lossE.
assert (Hz : - e <= zj - zh <= e) by (unfold Rabs in Hj; destruct Rcase_abs; lra).
assert (E : exp zj <= exp e * exp zh) by (rewrite <- exp_plus; apply exp_le; lra).
assert (P := exp_pos zj); assert (Q := exps_ge0 others); assert (P' := exp_pos zh); assert (Q' := exps_ge0 othersh).
assert (L : ln (exp zj + exps others) <= e + ln (exp zh + exps othersh)); [|lra].
rewrite <- (ln_exp e) at 1; rewrite <- ln_mult by (try apply exp_pos; lra).
match goal with |- ln ?x <= ln ?y => assert (H : x <= y) by lra end.
destruct H as [H| ->]; [left; apply ln_increasing; lra|lra].
Qed.

(* FLT-9. And where no logit is off by more than e, the loss is off by at most 2 e. *)
Theorem loss_lipschitz e zj zh others othersh : Rabs (zj - zh) <= e ->
  Forall2 (fun z z' => Rabs (z - z') <= e) others othersh -> Rabs (loss zj others - loss zh othersh) <= 2 * e.
Proof.
intros Hj Ho; assert (A := loss_moves _ _ _ _ _ Hj Ho).
assert (B : loss zh othersh <= loss zj others + 2 * e).
{ apply loss_moves; [now rewrite Rabs_minus_sym|].
  clear A; induction Ho as [|z z' l l' H _ IH]; constructor; [now rewrite Rabs_minus_sym|assumption]. }
unfold Rabs; destruct Rcase_abs; lra.
Qed.
