From Coq Require Import Reals ZArith Lra List.
From Flocq Require Import Core BinarySingleNaN.
From nsn Require Import floating_point exactness.
Local Open Scope R_scope.

(******************************************************************************)
(* From the abstract model down to IEEE 754 (FLT-6, and FLT-3 bit for bit):   *)
(* Flocq's binary_float, rounding to nearest even, subnormal numbers          *)
(* included, with an a-priori condition that excludes overflow.               *)
(*                                                                            *)
(*           bexpr == an expression over IEEE 754 numbers        np.float32   *)
(*           bev e == its value, by Bmult, Bplus, Bfma                        *)
(*          real e == the same expression over the real numbers               *)
(*         small e == the magnitude bound of e is below the overflow threshold*)
(*          safe e == the inputs are finite and every sub-expression is small *)
(******************************************************************************)

Section Ieee.

Variables prec emax : Z.
Context {Hprec : Prec_gt_0 prec} {Hmax : Prec_lt_emax prec emax}.
Notation bin := (binary_float prec emax).
Notation emin := (3 - emax - prec)%Z.
Let rnd := round radix2 (FLT_exp emin prec) (Znearest (fun x => negb (Z.even x))).
Let u := / 2 * bpow radix2 (- prec + 1).
Let eta := / 2 * bpow radix2 emin.

Inductive bexpr : Type :=
  | BInp (x : bin) | BMul (c : bin) (e : bexpr)
  | BAdd (a b : bexpr) | BFma (c : bin) (a b : bexpr).

Fixpoint bev (e : bexpr) : bin := match e with
  | BInp x => x | BMul c e => Bmult mode_NE c (bev e)
  | BAdd a b => Bplus mode_NE (bev a) (bev b)
  | BFma c a b => Bfma mode_NE c (bev a) (bev b) end.

Fixpoint real (e : bexpr) : expr := match e with
  | BInp x => Inp (B2R x) | BMul c e => Mul (B2R c) (real e)
  | BAdd a b => Add (real a) (real b) | BFma c a b => Fma (B2R c) (real a) (real b) end.

(* inputs finite, and at every operation the a-priori magnitude bound stays
   below the overflow threshold *)
Definition small (e : expr) : Prop :=
  (1 + u) ^ dep e * (ab e + eta * unf e) < bpow radix2 emax.

Fixpoint safe (e : bexpr) : Prop := match e with
  | BInp x => is_finite x = true
  | BMul c e' => is_finite c = true /\ safe e' /\ small (real e)
  | BAdd a b => safe a /\ safe b /\ small (real e)
  | BFma c a b => is_finite c = true /\ safe a /\ safe b /\ small (real e) end.

Lemma wf_real e : wf (generic_format radix2 (FLT_exp emin prec)) (real e).
Proof. induction e; simpl; auto; exact (generic_format_B2R prec emax x). Qed.

Lemma below_emax e : small e -> wf (generic_format radix2 (FLT_exp emin prec)) e ->
  Rlt_bool (Rabs (fl rnd e)) (bpow radix2 emax) = true.
Proof.
intros S W; apply Rlt_bool_true; apply (Rle_lt_trans _ _ _ (magnitude_bound_FLT radix2 emin prec _ e W)).
exact S.
Qed.

(* FLT-6. IEEE 754 operations give the numbers of the abstract model, if nothing can overflow. *)
Theorem ieee_value e : safe e ->
  is_finite (bev e) = true /\ B2R (bev e) = fl rnd (real e).
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; simpl.
- auto.
- intros [Fc [Se Sm]]; destruct (IH Se) as [F E].
  assert (L := below_emax (Mul (B2R c) (real e)) Sm (wf_real (BMul c e))); simpl in L.
  assert (C := Bmult_correct prec emax _ _ mode_NE c (bev e)); rewrite E in C.
  change (round radix2 (SpecFloat.fexp prec emax) (round_mode mode_NE)) with rnd in C.
  rewrite L in C; destruct C as [C1 [C2 _]]; rewrite C1, C2, Fc, F; auto.
- intros [Sa [Sb Sm]]; destruct (IHa Sa) as [Fa Ea]; destruct (IHb Sb) as [Fb Eb].
  assert (L := below_emax (Add (real a) (real b)) Sm (wf_real (BAdd a b))); simpl in L.
  assert (C := Bplus_correct prec emax _ _ mode_NE (bev a) (bev b) Fa Fb); rewrite Ea, Eb in C.
  change (round radix2 (SpecFloat.fexp prec emax) (round_mode mode_NE)) with rnd in C.
  rewrite L in C; destruct C as [C1 [C2 _]]; rewrite C1, C2; auto.
- intros [Fc [Sa [Sb Sm]]]; destruct (IHa Sa) as [Fa Ea]; destruct (IHb Sb) as [Fb Eb].
  assert (L := below_emax (Fma (B2R c) (real a) (real b)) Sm (wf_real (BFma c a b))); simpl in L.
  assert (C := Bfma_correct prec emax _ _ mode_NE c (bev a) (bev b) Fc Fa Fb); rewrite Ea, Eb in C.
  cbv zeta in C.
  change (round radix2 (SpecFloat.fexp prec emax) (round_mode mode_NE)) with rnd in C.
  rewrite L in C; destruct C as [C1 [C2 _]]; rewrite C1, C2; auto.
Qed.

(* FLT-6. So the bound holds for IEEE 754 arithmetic, subnormal numbers included. *)
Theorem ieee_error e : safe e ->
  Rabs (B2R (bev e) - ex (real e)) <=
  ((1 + u) ^ dep (real e) - 1) * ab (real e) + (1 + u) ^ dep (real e) * eta * unf (real e).
Proof.
intros S; destruct (ieee_value e S) as [_ ->].
exact (forward_error_FLT radix2 emin prec _ (real e) (wf_real e)).
Qed.

Lemma nonzero_finite (z : bin) : B2R z <> 0 -> is_finite_strict z = true.
Proof. destruct z; simpl; intros H; try reflexivity; now destruct H. Qed.

(* FLT-3. Two orders of the same dot product, with or without fused multiply-add: where the
   condition for exact sums holds they give the exact result, and the same bits, but for the
   sign of a zero. *)
Theorem ieee_same_bits e1 e2 l q : safe e1 -> safe e2 -> isdot (real e1) l -> isdot (real e2) l -> (emin <= q)%Z ->
  (forall t, In t l -> multiple radix2 q (fst t * snd t)) ->
  sumR (map (fun t => Rabs (fst t * snd t)) l) <= bpow radix2 (prec + q) ->
  B2R (bev e1) = dot l /\ B2R (bev e2) = dot l /\ (dot l <> 0 -> bev e1 = bev e2).
Proof.
intros S1 S2 T1 T2 Hq M B.
destruct (ieee_value e1 S1) as [_ V1]; destruct (ieee_value e2 S2) as [_ V2].
assert (E1 := dot_exact_FLT radix2 emin prec Hprec (Znearest (fun x => negb (Z.even x))) q _ l Hq T1 M B).
assert (E2 := dot_exact_FLT radix2 emin prec Hprec (Znearest (fun x => negb (Z.even x))) q _ l Hq T2 M B).
fold rnd in E1, E2; rewrite <- V1 in E1; rewrite <- V2 in E2; split; [exact E1|split; [exact E2|intros N]].
apply B2R_inj; [apply nonzero_finite; now rewrite E1|apply nonzero_finite; now rewrite E2|now rewrite E1, E2].
Qed.

End Ieee.

(* The condition can be met. *)
Lemma safe_example :
  let one := @Bone 24 128 eq_refl eq_refl in
  safe 24 128 (BAdd 24 128 (BInp 24 128 one) (BInp 24 128 one)).
Proof.
intros one.
assert (F : is_finite one = true) by apply is_finite_Bone.
assert (E : B2R one = 1) by apply Bone_correct.
split; [exact F|split; [exact F|]]; unfold small.
change (dep (real 24 128 (BAdd 24 128 (BInp 24 128 one) (BInp 24 128 one)))) with 1%nat.
change (ab (real 24 128 (BAdd 24 128 (BInp 24 128 one) (BInp 24 128 one))))
  with (Rabs (B2R one) + Rabs (B2R one)).
change (unf (real 24 128 (BAdd 24 128 (BInp 24 128 one) (BInp 24 128 one)))) with (0 + 0).
rewrite E, Rabs_R1.
assert (U : bpow radix2 (- (24) + 1) <= bpow radix2 0) by (apply bpow_le; easy).
assert (P : bpow radix2 3 < bpow radix2 128) by (apply bpow_lt; easy).
simpl in U, P |- *; lra.
Qed.
